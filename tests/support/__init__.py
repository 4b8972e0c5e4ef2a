"""What tests of several domains stand on: real servers and real twins, never mocks of our own code."""
