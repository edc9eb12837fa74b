"""What is there: the places of a profile, the evidence of runs, and the situation that a plan starts from."""
