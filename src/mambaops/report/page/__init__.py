"""A run as one page to look at: self-contained HTML, without scripts and without anything from elsewhere."""
