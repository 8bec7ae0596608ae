"""What several phases must read alike in HTTP: headers, places of credentials, base URLs. Pure, and below all phases."""
