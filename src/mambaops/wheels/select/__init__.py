"""Which wheel fits a machine, with a reason for every other one."""
