"""Networks for images: convolutional, with gates, attention or dense connections."""
