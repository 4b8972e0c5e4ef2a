"""Projects: what a tenant builds. Each has a bare git repository on the server and a tree in the workspace."""
