"""A shop of three services, to see spanhouse at work: HTTP in front, GraphQL behind it, gRPC and a database behind that."""
