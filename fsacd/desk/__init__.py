"""What people at their desks may do."""
