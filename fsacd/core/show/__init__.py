"""What the engine shows of itself (views, explanations, proofs), and its memory as plain data."""
