"""What is known about callers (numbers, customers), and the opening hours of queues."""
