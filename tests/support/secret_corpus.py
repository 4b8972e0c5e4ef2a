"""A labelled set: texts with a secret, made by chance so that none is anybody's, and texts that only look like it."""

from __future__ import annotations

import random
import string
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator

ALNUM = string.ascii_letters + string.digits
UPPER = string.ascii_uppercase + "234567"
HEX = "0123456789abcdef"


def secrets(seed: int = 5) -> Iterator[tuple[str, str, str]]:
    """Yield the name of a case, its text, and the secret in it."""
    rng = random.Random(seed)

    def made(alphabet: str, size: int) -> str:
        # Every alphabet but hexadecimal letters has figures by chance only; real tokens of these sizes have them.
        body = "".join(rng.choices(alphabet, k=size - 2))
        return f"{body}{rng.choice('3456789' if '3' in alphabet else alphabet)}{rng.choice(alphabet)}"

    def jwt() -> str:
        parts = ['{"alg":"HS256","typ":"JWT"}', f'{{"sub":"{made(ALNUM, 12)}","iat":1790000000}}']
        return ".".join([*(urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in parts), made(ALNUM, 43)])

    tokens = {
        "OpenAI": f"sk-{made(ALNUM, 48)}",
        "OpenAI project": f"sk-proj-{made(ALNUM + '_-', 120)}",
        "OpenRouter": f"sk-or-v1-{made(HEX, 64)}",
        "Anthropic": f"sk-ant-api03-{made(ALNUM + '_-', 93)}AA",
        "AWS access key": f"AKIA{made(UPPER, 16)}",
        "AWS session key": f"ASIA{made(UPPER, 16)}",
        "Google": f"AIza{made(ALNUM + '_-', 34)}Z",
        "Google OAuth": f"GOCSPX-{made(ALNUM, 28)}",
        "Google access": f"ya29.{made(ALNUM + '_-', 120)}",
        "GitHub": f"ghp_{made(ALNUM, 36)}",
        "GitHub app": f"ghs_{made(ALNUM, 36)}",
        "GitHub fine": f"github_pat_{made(ALNUM, 22)}_{made(ALNUM, 59)}",
        "GitLab": f"glpat-{made(ALNUM + '_-', 20)}",
        "GitLab runner": f"glrt-{made(ALNUM, 20)}",
        "Slack bot": f"xoxb-{made(string.digits, 12)}-{made(string.digits, 12)}-{made(ALNUM, 24)}",
        "Slack app": f"xapp-1-A{made(string.digits, 10)}-{made(string.digits, 12)}-{made(HEX, 64)}",
        "Stripe": f"sk_live_{made(ALNUM, 24)}",
        "Stripe restricted": f"rk_test_{made(ALNUM, 90)}",
        "Stripe webhook": f"whsec_{made(ALNUM, 32)}",
        "npm": f"npm_{made(ALNUM, 36)}",
        "PyPI": f"pypi-AgEIcHlwaS5vcmc{made(ALNUM + '_-', 150)}",
        "Hugging Face": f"hf_{made(string.ascii_letters, 34)}",
        "SendGrid": f"SG.{made(ALNUM, 22)}.{made(ALNUM, 43)}",
        "DigitalOcean": f"dop_v1_{made(HEX, 64)}",
        "Twilio": f"SK{made(HEX, 32)}",
        "Shopify": f"shpat_{made(HEX, 32)}",
        "Databricks": f"dapi{made(HEX, 32)}",
        "Vault": f"hvs.{made(ALNUM, 90)}",
        "Grafana": f"glsa_{made(ALNUM, 32)}_{made(HEX, 8)}",
        "Azure client": f"{made(ALNUM, 3)}8Q~{made(ALNUM, 34)}",
        "JWT": jwt(),
    }
    for name, token in tokens.items():
        inner = token[3:] if name == "Azure client" else token
        yield f"{name} in prose", f"I used {token} for it, sorry.", inner
        yield f"{name} in code", f'client = Client("{token}")', inner
        yield f"{name} in JSON", f'{{"value":"{token}","n":1}}', inner
        yield f"{name} in a log", f"2026-11-22T23:50:00Z GET /v1?key={token} 200", inner
    aws = b64encode(rng.randbytes(30)).decode()
    azure = b64encode(rng.randbytes(64)).decode()
    body = "\n".join(b64encode(rng.randbytes(48)).decode() for _ in range(12))
    password, word = f"{made(ALNUM, 8)}!{made(ALNUM, 4)}", made(ALNUM, 16)
    yield "AWS secret", f"aws_secret_access_key = {aws}\n", aws
    yield "AWS secret in code", f'boto3.client("s3", aws_secret_access_key="{aws}")', aws
    yield "AWS secret in the environment", f"AWS_SECRET_ACCESS_KEY={aws}\n", aws
    yield "Azure storage", f"DefaultEndpointsProtocol=https;AccountName=a;AccountKey={azure};", azure
    yield "Azure bus", f"Endpoint=sb://a.servicebus.windows.net/;SharedAccessKey={azure}", azure
    yield "Azure SAS", f"https://a.blob.core.windows.net/c?sv=2026&sig={made(ALNUM, 42)}%3D&se=1", "%3D"
    for kind in ("RSA PRIVATE KEY", "PRIVATE KEY", "EC PRIVATE KEY", "OPENSSH PRIVATE KEY", "PGP PRIVATE KEY BLOCK"):
        yield kind, f"key:\n-----BEGIN {kind}-----\n{body}\n-----END {kind}-----\nend", body
        yield f"{kind} cut short", f"-----BEGIN {kind}-----\n{body[:300]}", body[:300]
    escaped = body.replace("\n", "\\n")
    yield (
        "service account",
        f'{{"private_key": "-----BEGIN PRIVATE KEY-----\\n{escaped}\\n-----END PRIVATE KEY-----\\n"}}',
        escaped,
    )
    for scheme in ("postgres", "postgresql+psycopg", "mysql", "mongodb+srv", "redis", "amqp", "https", "ftp"):
        yield f"{scheme} address", f'URL = "{scheme}://app:{password}@db.internal:5432/x"', password
    yield "address without a user", f"redis://:{word}@cache:6379/0", word
    yield "git remote", f"git clone https://oauth2:{word}@git.internal/a.git", word
    yield "ADO string", f"Server=db;Database=a;User Id=sa;Password={password};Encrypt=true", password
    for line in (
        "password = '{}'", 'db_password: "{}"', "DB_PASSWORD={}", "export API_TOKEN={}", '"clientSecret": "{}"',
        "api_key: '{}'", "  secretKey: {}", 'PASSWORD="{}"', 'senha = "{}"', 'os.environ["DB_PASSWORD"] = "{}"',
        "ENV SECRET_KEY={}", "-e POSTGRES_PASSWORD={}", 'auth_token => "{}"', "spring.datasource.password={}",
        '{{\\"password\\": \\"{}\\"}}', 'SECRET_KEY: str = "{}"', 'setPassword("{}"); password == "{}"',
        "curl -H 'Authorization: Bearer {}'", "mysql --password {}", "login app password {}",
    ):  # fmt: skip
        yield f"assignment {line}", line.replace("{{", "{").replace("}}", "}").replace("{}", word), word
    yield (
        "basic auth",
        f"Authorization: Basic {b64encode(f'app:{word}'.encode()).decode()}",
        b64encode(word.encode()).decode()[:4],
    )


LOOK_ALIKES = [
    "id = 'f81d4fae-7dec-11d0-a765-00a0c91e6bf6'",
    "commit 9fceb02d0ae598e95dc970b74767f19372d61af8",
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    '"integrity": "sha512-oRUvAEMwRlBqbB1lsKvR2C0bFkXq3oV8fQ7f5kYV4Wc0JbT3cQe1rJmG9wDk1j8A3mRrJc7hQf5bGZQp7b1w=="',
    'etag: W/"5e1b0c7d-canary"',
    "password = os.environ['DB_PASSWORD']",
    "password = getpass.getpass('Password: ')",
    "token = request.headers['Authorization']",
    "token = next_token(stream)",
    "password: str = Field(min_length=12)",
    'password = "changeme"',
    'password = "test"',
    'PASSWORD="example"',
    "DB_PASSWORD=${DB_PASSWORD}",
    "API_KEY=<your key here>",
    "API_KEY=your-api-key-1234",
    "secret: {{ .Values.secret }}",
    "secrets: inherit",
    "token: ${{ secrets.GITHUB_TOKEN }}",
    "api_key = settings.api_key",
    "const token = await getToken(user1)",
    "max_tokens = 4096",
    "tokens_input: 1000, tokens_output: 100",
    'token_type: "bearer"',
    'token_url = "https://auth.internal/oauth2/token"',
    'secret_name = "projects/1/secrets/db2"',
    'password_hash = "$2b$12$abcdefghijklmnopqrstuv"',
    "password_sha256 = '9fceb02d0ae598e95dc970b74767f19372d61af8'",
    "PASSWORD_FILE=/run/secrets/db1",
    "The password is stored as a hash, never as text.",
    "A senha deve ter 12 caracteres.",
    "IF the token is expired THEN THE SYSTEM SHALL answer 401",
    "Authorization: Bearer <token>",
    "Authorization: Basic <base64>",
    "Bearer token authentication",
    "AKIAIOSFODNN7EXAMPLE",
    "https://user:password@example.com/",
    "postgres://user:${PASSWORD}@db/x",
    "http://localhost:8080/a@b",
    "see https://docs.internal/a:b/c",
    "sk-learn-estimator-documentation-link",
    "class='sk-toggleable__label sk-toggleable__label-arrow'",
    "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----",
    "-----BEGIN CERTIFICATE-----\nMIIDdzCCAl+gAwIBAgIEAgAAuTANBgkqhkiG\n-----END CERTIFICATE-----",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ3yhtHk1kX8Tn3vG1Wm ana@laptop",
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ",
    "eyJhbGciOiJIUzI1NiJ9 is only the header",
    "npm_config_registry=https://registry.npmjs.org/",
    "glpat-<token>",
    "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "the ghp_ prefix marks personal tokens",
    "github_pat_ is the prefix of fine-grained tokens",
    "hf_hub_download(repo_id, filename)",
    "dapi_client = make()",
    'key = "abc"; keys = ["a1", "b2"]',
    "foreign_key: users.id1",
    "primary_key=True",
    'monkeypatch.setenv("TOKEN", "x")',
    "password = user_password",
    "if password == other_password:",
    'PASSWORD_PATTERN = r"^[a-z0-9]{8,}$"',
    "csrf_token: '{{ csrf_token() }}'",
    "secret_length: 32",
    "auth_token_ttl = 3600",
    "token = tokens[index1]",
    "SECRET_KEY = env('SECRET_KEY')",
    'tokenizer = "cl100k_base"',
    "passwords.txt has 1000 lines",
    "chave primária: id1",
    'label: "API key (optional)"',
    "VERSION=1.2.3\nDEBUG=true",
    "[secret removed: GitHub token]",
    "password = '[secret removed: password or key]'",
]
