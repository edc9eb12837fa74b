"""What a wheel or an installed module really holds, read from its files."""
