# needs: cpppo==5.2.5
"""cpppo's Logix simulator and client: reads and writes of tags by name."""

import subprocess
import sys
import time

from tap import Tap, free_port


def main(folder):
    from cpppo.server.enip import client

    port = free_port()
    tags = ["Level=INT[10]", "Speed=REAL[4]", "Count=DINT[3]"]
    command = [sys.executable, "-m", "cpppo.server.enip", "--address", f"127.0.0.1:{port}", *tags]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    tap = Tap(44818)
    try:
        time.sleep(3)
        with client.connector(host="127.0.0.1", port=tap.tcp(port), timeout=10) as connection:
            for n in range(5):
                level, speed, count = 100 + n, 1.5 * n, 70000 * n
                asked = [
                    *(f"Level[{n}]={level}", f"Level[{n}]", f"Speed[1]=(REAL){speed}", "Speed[1]"),
                    *(f"Count[0]=(DINT){count}", "Count[0]"),
                ]
                operations = client.parse_operations(asked)
                answers = connection.pipeline(operations=operations, depth=1, multiple=0, timeout=10)
                for _, what, _, _, status, value in answers:
                    assert value is not None, (what, status)
                for name, value in (("Level", level), ("Speed", speed), ("Count", count)):
                    tap.wrote(name, value)
                    tap.read(name, value)
    finally:
        server.terminate()
    time.sleep(0.2)
    tap.save(folder, "enip")


main(sys.argv[1])
