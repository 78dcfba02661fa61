"""Networks that make of a context what the parts of a flow take."""
