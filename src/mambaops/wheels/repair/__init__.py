"""Making a wheel load on an older system than it was built on."""
