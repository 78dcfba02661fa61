"""Where discrete data enter a continuous flow, and integers an integer flow."""
