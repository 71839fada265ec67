"""Makes new assignments and submissions that run as they are; nothing that is there is ever written over."""
