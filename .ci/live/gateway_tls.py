"""pymodbus and OpenSSL, as they come, before a gateway that speaks Modbus/TCP Security.

What is checked: certificates that OpenSSL made, with the role in the extension of the standard, say who may command; without
one, with an old TLS or with another authority nobody is heard; a certificate that has run out reads and does not command; a
signal exchanges the gateway's certificate while a client stays connected. Where the OpenSSL here knows X25519MLKEM768 (3.5 or
later), it shows that this group is negotiated; elsewhere the gateway's own tests do, with rustls.
"""

import os
import re
import signal
import ssl
import subprocess
import sys

from gateway import PLANT, start_server
from tap import free_port

ROLE = "1.3.6.1.4.1.50316.802.1"
HYBRID = "X25519MLKEM768"


def openssl(*words, feed="", check=True):
    done = subprocess.run(["openssl", *words], input=feed, capture_output=True, text=True)
    assert not check or done.returncode == 0, (words, done.stderr)
    return done


def give(folder, name, role=None, days=30, uri=None):
    """A certificate of the authority in the folder, with its key."""
    names = "DNS:localhost,IP:127.0.0.1" + (f",URI:{uri}" if uri else "")
    with open(f"{folder}/{name}.ext", "w") as file:
        file.write(f"subjectAltName={names}\n" + (f"{ROLE}=ASN1:UTF8String:{role}\n" if role else ""))
    openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
            "-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.csr")
    if days > 0:
        openssl("x509", "-req", "-in", f"{folder}/{name}.csr", "-CA", f"{folder}/ca.pem", "-CAkey", f"{folder}/ca.key",
                "-extfile", f"{folder}/{name}.ext", "-days", str(days), "-out", f"{folder}/{name}.pem")
    else:
        # `openssl x509` signs for days to come alone.
        open(f"{folder}/index", "w").close()
        with open(f"{folder}/ca.conf", "w") as file:
            file.write(f"[ca]\ndefault_ca=d\n[d]\ndatabase={folder}/index\nnew_certs_dir={folder}\nrand_serial=yes\n"
                       "default_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n")
        openssl("ca", "-batch", "-notext", "-config", f"{folder}/ca.conf", "-in", f"{folder}/{name}.csr",
                "-cert", f"{folder}/ca.pem", "-keyfile", f"{folder}/ca.key", "-extfile", f"{folder}/{name}.ext",
                "-startdate", "20200101000000Z", "-enddate", "20210101000000Z", "-out", f"{folder}/{name}.pem")


def configure(folder, server, port):
    with open(f"{folder}/plant.toml", "w") as file:
        file.write(PLANT.replace('"controller"]', '"controller", "Operator"]'))
    with open(f"{folder}/gateway.toml", "w") as file:
        file.write(f"""mode = "enforce"
[plant]
file = "plant.toml"
unsealed = true
[[modbus]]
name = "tank"
listen = "127.0.0.1:{port}"
server = "127.0.0.1:{server}"
device = "10.0.0.2:502"
[modbus.tls]
certificate = "own.pem"
key = "own.key"
client_ca = "ca.pem"
""")
    return f"{folder}/gateway.toml"


def client(folder, port, name):
    from pymodbus.client import ModbusTlsClient

    context = ssl.create_default_context(cafile=f"{folder}/ca.pem")
    context.check_hostname = False  # pymodbus tells the context no name to compare with; the authority is checked
    context.load_cert_chain(f"{folder}/{name}.pem", f"{folder}/{name}.key")
    return ModbusTlsClient("localhost", port=port, sslctx=context, timeout=5, retries=0)


def s_client(folder, port, *words, identity=True):
    shown = ["-cert", f"{folder}/plc.pem", "-key", f"{folder}/plc.key"] if identity else []
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", f"{folder}/ca.pem", "-verify_return_error", *shown, *words],
        input=b"", capture_output=True, timeout=20)
    return (done.stdout + done.stderr).decode(errors="replace")


def main(gateway, out):
    folder = os.path.abspath(f"{out}/gateway_tls")
    subprocess.run(["rm", "-rf", folder], check=True)
    os.makedirs(folder)
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=plant", "-days", "30",
            "-keyout", f"{folder}/ca.key", "-out", f"{folder}/ca.pem")
    give(folder, "own")
    give(folder, "plc", role="Operator")
    give(folder, "guest")
    give(folder, "late", role="Operator", days=0)
    server, port = free_port(), free_port()
    config = configure(folder, server, port)
    subprocess.run([gateway, "--config", config, "--check"], check=True)
    with open(config) as good, open(f"{folder}/bad.toml", "w") as bad:
        bad.write(good.read().replace('"own.key"', '"plc.key"').replace("client_ca", "clint_ca"))
    told = subprocess.run([gateway, "--config", f"{folder}/bad.toml", "--check"], capture_output=True, text=True)
    assert told.returncode == 2 and "is the key of another certificate" in told.stderr and "did you mean `client_ca`" in told.stderr, told
    print(told.stderr, end="")

    running, process = start_server(server), subprocess.Popen([gateway, "--config", config], stdout=subprocess.PIPE, text=True)
    try:
        for line in process.stdout:
            if line.startswith("enforcing"):
                break
        plc = client(folder, port, "plc")
        assert plc.connect() and plc.read_input_registers(0, count=1, device_id=1).registers == [500]
        version = plc.socket.version()
        assert version == "TLSv1.3", version
        assert not plc.write_register(0, 300, device_id=1).isError()
        assert plc.read_holding_registers(0, count=1, device_id=1).registers == [300]
        for name in ("guest", "late"):
            other = client(folder, port, name)
            assert other.connect() and other.read_input_registers(0, count=1, device_id=1).registers == [500]
            refused = other.write_register(0, 250, device_id=1)
            assert refused.exception_code == 1, (name, refused)
            other.close()
        print("pymodbus with certificates of OpenSSL: the role commands; no role, or one that has run out, reads")

        told = s_client(folder, port, "-tls1_3")
        assert "Verify return code: 0 (ok)" in told and "TLSv1.3" in told, told
        old = s_client(folder, port, "-tls1_2")
        assert re.search(r"alert protocol version|protocol version.*alert", old), old
        known = HYBRID in openssl("list", "-tls-groups", check=False).stdout
        if known:
            assert re.search(rf"Negotiated TLS1\.3 group: {HYBRID}", told), told
            print(f"OpenSSL: {HYBRID} negotiated; TLS 1.2 is answered with an alert")
        else:
            name = openssl("version").stdout.split(" (")[0].strip()
            print(f"{name}: TLS 1.2 is answered with an alert; it does not know {HYBRID}: the negotiated group is skipped here, "
                  "and asserted in crates/twinguard-gateway/tests/tls.rs")
        nobody = s_client(folder, port, "-tls1_3", "-ign_eof", identity=False)
        assert re.search(r"alert certificate required|certificate required", nobody), nobody

        # Exchanged while a client is connected.
        def serial():
            shown = s_client(folder, port, "-showcerts")
            return re.search(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", shown, re.S).group(0)

        before = serial()
        give(folder, "own")
        process.send_signal(signal.SIGHUP)
        for line in process.stdout:
            if line.startswith("read again"):
                break
        assert plc.read_input_registers(0, count=1, device_id=1).registers == [500], "the connection stands"
        assert serial() != before
        print("certificate exchanged: who was connected stays, who comes is shown the new one")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        print("gateway with certificates: ok")
    finally:
        running.kill()
        process.kill()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
