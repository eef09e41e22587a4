"""A server for published models: TensorFlow Serving's REST API and, as an extra, its gRPC."""
