"""What a machine should become: one YAML file per profile."""
