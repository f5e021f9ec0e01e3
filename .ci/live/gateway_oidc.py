"""PyJWT signs what people bring along, as an identity provider would; `cryptography` makes the keys.

What is checked: tokens of each algorithm are taken, and their groups give rights and roles; a person agrees to a held command; everything
that is wrong with a token is told and refused (no signature, the public key as a shared secret, another key, issuer, audience or
time, a key that comes along, a critical header, an altered or oversized text); new keys count after a reload; `--check` tells mistakes.
"""

import base64
import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

from tap import free_port

ISSUER = "https://idp.example/realms/plant"
SECRET = "c" * 40
PLANT = """
format = 1
name = "tank"
signal = [{ path = "tank.setpoint", role = "setpoint" }]
principal = [{ name = "plc", kind = "device", roles = ["controller"] }]
"""
POLICY = """
format = 1
rule = [
  { name = "set-points need two", effect = "allow", roles = ["controller"], signals = ["tank.setpoint"], two_person = true, approvers = ["supervisor"] },
]
"""
CONFIG = """mode = "enforce"
policy = "policy.toml"
[plant]
file = "plant.toml"
unsealed = true
[api]
listen = "127.0.0.1:{port}"
[[token]]
principal = "platform"
file = "platform"
may = ["commands"]
speaks_for = true
[[oidc]]
issuer = "{issuer}"
keys = "idp.json"
audience = ["twinguard"]
algorithms = ["ES256", "RS256", "EdDSA"]
leeway_s = 5
groups_claim = "realm_access.roles"
[[oidc.group]]
name = "approvers"
role = "supervisor"
may = ["approve", "read"]
[[oidc.group]]
name = "watchers"
may = ["approve", "read"]
"""


def make_keys():
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    return {
        "ES256": ec.generate_private_key(ec.SECP256R1()),
        "RS256": rsa.generate_private_key(65537, 2048),
        "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    }


def key_set(keys):
    """What the provider publishes, with a key for encryption and one of an algorithm that is not known here."""
    from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

    writers = {"ES256": ECAlgorithm, "RS256": RSAAlgorithm, "EdDSA": OKPAlgorithm}
    public = [dict(json.loads(writers[name].to_jwk(key.public_key())), kid=name, alg=name, use="sig") for name, key in keys.items()]
    for key in public:
        key.pop("key_ops", None)
    other = [dict(public[1], kid="enc", use="enc", alg="RSA-OAEP"), {"kty": "AKP", "kid": "pq", "alg": "ML-DSA-65", "pub": "AA"}]
    return {"keys": public + other}


def part(data):
    return base64.urlsafe_b64encode(data if isinstance(data, bytes) else json.dumps(data).encode()).rstrip(b"=")


def by_hand(head, claims, sign):
    """PyJWT refuses to make what follows."""
    text = part(head) + b"." + part(claims)
    return (text + b"." + part(sign(text))).decode()


def claims_of(**changed):
    now = int(time.time())
    good = {"iss": ISSUER, "aud": "twinguard", "sub": "sam", "iat": now, "exp": now + 300, "realm_access": {"roles": ["approvers"]}}
    return {name: value for name, value in {**good, **changed}.items() if value is not None}


def ask(port, path, token, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, {"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["error"]


def main(gateway, out):
    import jwt

    folder = os.path.abspath(f"{out}/gateway_oidc")
    subprocess.run(["rm", "-rf", folder], check=True)
    os.makedirs(folder)
    port, keys = free_port(), make_keys()

    def put(name, text):
        with open(f"{folder}/{name}", "w") as file:
            file.write(text)

    def token(algorithm, kid=True, headers=None, key=None, **changed):
        head = dict(headers or {}, **({"kid": algorithm if kid is True else kid} if kid else {}))
        return jwt.encode(claims_of(**changed), key or keys[algorithm], algorithm, head)

    put("plant.toml", PLANT)
    put("policy.toml", POLICY)
    put("platform", SECRET)
    put("idp.json", json.dumps(key_set(keys)))
    good = CONFIG.format(port=port, issuer=ISSUER)
    put("gateway.toml", good)
    check = [gateway, "--check", "--config"]
    subprocess.run([*check, f"{folder}/gateway.toml"], check=True)
    for bad, told in [
        (good.replace('"supervisor"', '"supervizor"'), "unknown role of the policy `supervizor`, did you mean `supervisor`?"),
        (good.replace('"ES256"', '"HS256"'), "unknown algorithm `HS256`, did you mean `ES256`?"),
        (good.replace("audience", "audiense"), "unknown key `audiense`, did you mean `audience`?"),
        (good.replace('"idp.json"', '"plant.toml"'), "is no JSON Web Key Set"),
    ]:
        put("bad.toml", bad)
        checked = subprocess.run([*check, f"{folder}/bad.toml"], capture_output=True, text=True)
        assert checked.returncode == 2 and told in checked.stderr and "bad.toml:" in checked.stderr, checked

    process = subprocess.Popen([gateway, "--config", f"{folder}/gateway.toml"])
    try:
        for _ in range(100):
            try:
                ask(port, "/v1/state", "x")
                break
            except OSError:
                time.sleep(0.1)

        for algorithm in keys:
            assert ask(port, "/v1/state", token(algorithm))[0] == 200, algorithm
            assert ask(port, "/v1/state", token(algorithm, kid=None))[0] == 200, "the only key of its algorithm"
        assert ask(port, "/v1/state", token("ES256", aud=["other", "twinguard"], exp=time.time() + 30.5))[0] == 200
        status, told = ask(port, "/v1/state", token("ES256", realm_access={"roles": ["others"]}))
        assert status == 403 and "right `read`" in told, told
        print("PyJWT's ES256, RS256 and EdDSA: taken; rights are those of groups")

        # A held command, as a role's holder and as somebody who lost it.
        def hold(value):
            status, held = ask(port, "/v1/commands", SECRET, {"signal": "tank.setpoint", "value": value, "principal": {"name": "plc"}})
            assert (status, held["decision"]) == (200, "hold"), held
            return f"/v1/held/{held['command']}", {"approve": True, "signal": "tank.setpoint", "value": float(value)}

        path, word = hold(4)
        status, told = ask(port, path, token("RS256"), word)
        assert status == 200 and told["decision"] == "allow", told
        path, word = hold(5)
        status, told = ask(port, path, token("RS256", realm_access={"roles": ["watchers"]}), word)
        assert status != 200 or told["decision"] != "allow", told
        assert ask(port, path, token("RS256"), word)[0] == 200
        print("a person agrees while a group gives the role")

        from cryptography.hazmat.primitives import serialization

        def public(name, encoding, form):
            return keys[name].public_key().public_bytes(encoding, form)

        pem = public("RS256", serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        raw = public("EdDSA", serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        mac = lambda key: lambda text: hmac.new(key, text, hashlib.sha256).digest()
        foreign = make_keys()
        own = key_set(foreign)["keys"][0]
        now = time.time()
        head, _, signature = token("ES256").split(".")
        hostile = {
            "no signature": (jwt.encode(claims_of(), None, "none", {"kid": "ES256"}), "algorithm"),
            "no signature, spelt otherwise": (by_hand({"alg": "nOnE", "kid": "ES256"}, claims_of(), lambda _: b""), "algorithm"),
            "the signature cut off": (token("ES256").rsplit(".", 1)[0] + ".", "signature"),
            "RSA's public key as a secret": (by_hand({"alg": "HS256", "kid": "RS256"}, claims_of(), mac(pem)), "algorithm"),
            "Ed25519's public key as a secret": (by_hand({"alg": "HS256", "kid": "EdDSA"}, claims_of(), mac(raw)), "algorithm"),
            "an algorithm that is not listed": (jwt.encode(claims_of(), keys["RS256"], "PS256", {"kid": "RS256"}), "algorithm"),
            "somebody else's key": (token("ES256", key=foreign["ES256"]), "signature"),
            "an unknown key": (token("ES256", kid="unheard"), "no key"),
            "a key of another algorithm": (token("ES256", kid="RS256"), "no key"),
            "a key for encryption": (token("RS256", kid="enc"), "no key"),
            "a key that comes along": (token("ES256", key=foreign["ES256"], headers={"jwk": own}), "signature"),
            "altered claims": (f"{head}.{part(claims_of(sub='root')).decode()}.{signature}", "signature"),
            "a critical header": (token("ES256", headers={"crit": ["x"], "x": 1}), "no token"),
            "another type": (token("ES256", headers={"typ": "logout+jwt"}), "type"),
            "another audience": (token("ES256", aud="somebody"), "somebody else"),
            "no audience": (token("ES256", aud=None), "`aud`"),
            "another issuer": (token("ES256", iss=ISSUER + "/"), "another issuer"),
            "expired": (token("ES256", exp=int(now) - 6), "expired"),
            "without an end": (token("ES256", exp=None), "`exp`"),
            "not yet": (token("ES256", nbf=int(now) + 60), "not valid yet"),
            "a program's name": (token("ES256", sub="platform"), "secret of their own"),
            "nobody's name": (token("ES256", sub="a\nb"), "`sub`"),
            "oversized": (token("ES256", padding="x" * 20_000), "too long"),
            "no token at all": ("a.b.c", "no token"),
        }
        for what, (text, reason) in hostile.items():
            # What comes without a valid token is answered some twenty times a second.
            time.sleep(0.1)
            status, told = ask(port, "/v1/state", text)
            assert status == 401 and reason in told, (what, status, told)
        print(f"{len(hostile)} hostile tokens: each refused with its reason")

        # The provider changes its keys.
        old, keys = token("ES256"), foreign
        put("idp.json", json.dumps(key_set(keys)))
        process.send_signal(signal.SIGHUP)
        for _ in range(100):
            if ask(port, "/v1/state", token("ES256"))[0] == 200:
                break
            time.sleep(0.2)
        assert ask(port, "/v1/state", token("ES256"))[0] == 200 and ask(port, "/v1/state", old)[0] == 401
        print("after a reload new keys count, and old ones do not")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        print("gateway with an identity provider: ok")
    finally:
        process.kill()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
