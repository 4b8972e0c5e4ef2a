"""What proves that a task is done, in one file that anyone can check without a server and without a network."""
