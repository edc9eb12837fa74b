"""Results to terminal text, and the progress that a person sees."""
