"""One file per codemod. Each looks at a `Source`, writes into `Changes`, and refuses what it does not know."""
