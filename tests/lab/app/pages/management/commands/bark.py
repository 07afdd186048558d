"""Say words back, as many times as told: something to run on a host."""

import json
import sys
import time

from django.core.management.base import BaseCommand


class Command(BaseCommand):
    """manage.py bark WORDS… [--times N] [--every SECONDS] [--status N]"""

    def add_arguments(self, parser):
        parser.add_argument("words", nargs="*")
        parser.add_argument("--times", type=int, default=1)
        parser.add_argument("--every", type=float, default=0.0)
        parser.add_argument("--status", type=int, default=0)

    def handle(self, *args, **options):
        for count in range(options["times"]):
            self.stdout.write(f"{count} {json.dumps(options['words'])}")
            time.sleep(options["every"])
        sys.exit(options["status"])
