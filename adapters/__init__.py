"""Back ends behind the seam `gateway.adapter`; each package here is one."""
