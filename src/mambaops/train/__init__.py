"""Starting the training programs in the target environment."""
