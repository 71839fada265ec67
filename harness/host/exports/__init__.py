"""Hands grades to people and to the LMS: as a plain CSV, or filled into a sheet of Canvas or Moodle."""
