"""A server for published models with TensorFlow Serving's REST API and, optionally, gRPC."""
