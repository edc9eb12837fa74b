"""Several machines over the system's OpenSSH: what each is, what each would take, and what they need together."""
