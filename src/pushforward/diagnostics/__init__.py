"""What a flow is made of and how well it does."""
