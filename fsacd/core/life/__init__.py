"""What happens to calls, offers and agents, and the world that holds them."""
