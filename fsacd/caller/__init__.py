"""What is known of callers and for them: numbers, customers, hours."""
