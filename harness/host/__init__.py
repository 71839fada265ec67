"""The trusted side: never imports torch, the guest or student code."""
