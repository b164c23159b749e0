"""Who gets whom: the two orders, and how plugins are asked for them."""
