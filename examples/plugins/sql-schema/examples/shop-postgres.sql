--
-- PostgreSQL database dump
--

-- Dumped from database version 16.3

SET statement_timeout = 0;
SET client_encoding = 'UTF8';
SELECT pg_catalog.set_config('search_path', '', false);

CREATE EXTENSION IF NOT EXISTS citext WITH SCHEMA public;

CREATE TYPE public.order_state AS ENUM (
    'new',
    'paid',
    'shipped'
);

ALTER TYPE public.order_state OWNER TO shop;

CREATE FUNCTION public.touch() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    NEW.changed_at := now();  -- a ; in a body ends nothing
    RETURN NEW;
END;
$$;

SET default_tablespace = '';

CREATE TABLE public.customers (
    id integer NOT NULL,
    email public.citext NOT NULL,
    name character varying(200) DEFAULT 'n/a | none'::character varying NOT NULL,
    born date,
    changed_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT customers_email_check CHECK (((email)::text ~~ '%@%'::text))
);

ALTER TABLE public.customers OWNER TO shop;

COMMENT ON TABLE public.customers IS 'Who buys; see [[privacy]] before <export>.';

COMMENT ON COLUMN public.customers.born IS 'Only where the law wants it.
Never shown.';

CREATE SEQUENCE public.customers_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1;

ALTER SEQUENCE public.customers_id_seq OWNED BY public.customers.id;

CREATE TABLE public.orders (
    id bigint NOT NULL,
    customer_id integer NOT NULL,
    state public.order_state DEFAULT 'new'::public.order_state NOT NULL,
    tags text[] DEFAULT '{}'::text[],
    total numeric(12,2) GENERATED ALWAYS AS ((net * 1.19)) STORED,
    net numeric(12,2)
);

CREATE TABLE public.order_items (
    order_id bigint NOT NULL,
    line integer NOT NULL,
    sku text NOT NULL,
    quantity integer DEFAULT 1 NOT NULL
);

CREATE TABLE public.orders_2024 PARTITION OF public.orders FOR VALUES FROM (0) TO (1000000);

CREATE VIEW public.open_orders AS
 SELECT o.id,
    c.email
   FROM (public.orders o
     JOIN public.customers c ON ((c.id = o.customer_id)))
  WHERE (o.state = ANY (ARRAY['new'::public.order_state, 'paid'::public.order_state]));

COMMENT ON VIEW public.open_orders IS 'What is to be done.';

ALTER TABLE ONLY public.customers ALTER COLUMN id SET DEFAULT nextval('public.customers_id_seq'::regclass);

COPY public.customers (id, email, name, born, changed_at) FROM stdin;
1	ada@example.org	Ada; 'quoted	1815-12-10	2024-01-01 00:00:00+00
2	alan@example.org	CREATE TABLE trap (x int);	\N	2024-01-01 00:00:00+00
\.

COPY public.orders (id, customer_id, state, tags, net) FROM stdin;
\.

SELECT pg_catalog.setval('public.customers_id_seq', 2, true);

ALTER TABLE ONLY public.customers
    ADD CONSTRAINT customers_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.orders
    ADD CONSTRAINT orders_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.order_items
    ADD CONSTRAINT order_items_pkey PRIMARY KEY (order_id, line);

CREATE UNIQUE INDEX customers_email_key ON public.customers USING btree (lower((email)::text));

CREATE INDEX orders_tags_idx ON public.orders USING gin (tags) WHERE (tags IS NOT NULL);

CREATE TRIGGER customers_touch BEFORE UPDATE ON public.customers FOR EACH ROW EXECUTE FUNCTION public.touch();

ALTER TABLE ONLY public.orders
    ADD CONSTRAINT orders_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id) ON DELETE RESTRICT;

ALTER TABLE ONLY public.order_items
    ADD CONSTRAINT order_items_order_id_fkey FOREIGN KEY (order_id) REFERENCES public.orders(id) ON UPDATE CASCADE ON DELETE CASCADE;

GRANT SELECT ON TABLE public.customers TO reporting;

--
-- PostgreSQL database dump complete
--
