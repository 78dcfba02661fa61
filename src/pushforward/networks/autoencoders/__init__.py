"""Networks of autoencoders: encoders make a vector of an event, decoders an event's parameters of a vector."""
