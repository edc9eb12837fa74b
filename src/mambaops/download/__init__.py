"""Files from the network, whole or not at all."""
