"""PTX as text: tokens, statements, and the module that they make."""
