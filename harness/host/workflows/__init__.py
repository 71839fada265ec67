"""Writes what CI systems and graders of others need to run this one."""
