"""What the tests of the console log in with."""

TOKEN = "hr_console_token_for_tests"
