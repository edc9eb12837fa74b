"""What is to be made of a machine, and the judgements that steps share. Pure."""
