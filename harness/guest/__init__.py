"""The untrusted side: everything here runs inside a sandbox, next to student code."""
