"""The pages of a worker's web server, as a test asks for them."""

import urllib.error
import urllib.request


def get_page(port: int, path: str) -> tuple[int, str]:
    """Status and body of a page on this machine; 0 where nobody listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""
