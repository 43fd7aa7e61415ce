"""Django's commands for this project."""
import os
import sys

if __name__ == "__main__":
    # The embeddable Python for Windows does not look for modules beside the script.
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
