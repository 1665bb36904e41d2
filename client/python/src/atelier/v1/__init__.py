"""The messages and stubs of Atelier's API, generated from proto/atelier/v1 when the package is built."""
