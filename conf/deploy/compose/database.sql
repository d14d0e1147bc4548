-- Run once by the superuser, where the database's volume is new: the gateway's login owns its database and nothing else.
\set ON_ERROR_STOP on
\set password `cat /run/secrets/database_password`
CREATE ROLE cvan LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'password';
CREATE DATABASE cvan OWNER cvan ENCODING 'UTF8' TEMPLATE template0;
REVOKE CONNECT ON DATABASE cvan, postgres FROM PUBLIC;
-- What the image gave to the superuser: nobody comes in as it over the network.
ALTER ROLE CURRENT_USER PASSWORD NULL;
