"""What proves an end where it counts: at the system that a credential was for."""
