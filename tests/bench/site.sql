-- A site of a given size, the same kind at every size: averages per project and per person stay, only the tails grow.
-- psql -v projects=… -v persons=… -v members=… -v groups=…
\set ON_ERROR_STOP on
SET synchronous_commit = off;
SET session_replication_role = replica; -- the rows are made consistent, so that no foreign key needs a look
SET work_mem = '256MB';
SELECT setseed(0.42) \g /dev/null
BEGIN;

CREATE TEMP TABLE first_names AS SELECT row_number() OVER () - 1 AS i, n FROM unnest(string_to_array(
    'ada,alan,amina,ana,andreas,anna,ben,carla,chen,chiara,david,elena,emil,emma,eva,fatima,felix,finn,grace,hana,'
    'hugo,ibrahim,ines,ivan,jan,jonas,julia,kai,karin,laila,lea,leon,lina,luca,lucia,maja,marc,maria,marie,mario,'
    'marta,martin,mary,max,mei,mia,mila,mohamed,nadia,nina,noah,nora,olga,oscar,paul,pia,priya,ravi,rosa,sam,'
    'sara,sofia,sven,tao,theo,tim,tom,vera,yuki,zoe', ',')) n;
CREATE TEMP TABLE last_names AS SELECT row_number() OVER () - 1 AS i, initcap(a || b) AS n
    FROM unnest(string_to_array('ander,bach,berg,brand,brook,fisch,fried,garc,hart,hoff,john,kauf,klein,kov,lind,'
        'mart,mill,muel,nov,pet,roth,sand,schmid,schulz,silv,stein,thom,wagn,weber,wil', ',')) a,
    unnest(string_to_array('son,ler,mann,ova,sen,ez,er,ia,ton,feld,ski,ard', ',')) b;
CREATE TEMP TABLE subjects AS SELECT row_number() OVER () - 1 AS i, n FROM unnest(string_to_array(
    'climate,ocean,protein,galaxy,neutrino,genome,plasma,river,forest,glacier,traffic,market,language,vision,'
    'soil,aerosol,reef,brain,heart,battery,polymer,crystal,quake,wind,solar,water,carbon,methane,muon,lidar', ',')) n;
CREATE TEMP TABLE activities AS SELECT row_number() OVER () - 1 AS i, n FROM unnest(string_to_array(
    'model,survey,atlas,trends,data,analysis,course,lab,archive,imaging,forecast,review,thesis,workshop,pilot', ',')) n;
-- Words of READMEs: some very common, most rare
CREATE TEMP TABLE words AS SELECT row_number() OVER () - 1 AS i, a || b || c AS w
    FROM unnest(string_to_array('ba,de,fi,go,ha,ki,lo,me,na,po,ra,se,ti,vu,wa', ',')) a,
    unnest(string_to_array('ber,dan,fel,gor,lim,mon,nar,pes,ril,sat,tur,vel,wen,xan', ',')) b,
    unnest(string_to_array('a,ed,ent,ing,ion,ist,ment,o,s,ture,um,y', ',')) c ORDER BY md5(a || b || c);
CREATE INDEX ON words (i);

CREATE TEMP TABLE people AS
    SELECT p.i, f.n || '.' || lower(l.n) || p.i AS name, initcap(f.n) || ' ' || l.n AS display,
        random() AS throw
    FROM generate_series(0, :persons - 1) AS p (i)
    JOIN first_names f ON f.i = (p.i * 7) % (SELECT count(*) FROM first_names)
    JOIN last_names l ON l.i = (p.i * 31 + p.i / 70) % (SELECT count(*) FROM last_names);
CREATE UNIQUE INDEX ON people (i);
INSERT INTO persons (name, display_name, search_name, search_display_name, kind, first_seen, last_seen)
    SELECT name, display, lower(name), lower(display), CASE WHEN throw < 0.02 THEN 'explore' ELSE 'person' END,
        now() - interval '700 days', now() - throw * interval '300 days' FROM people;
INSERT INTO persons (name, display_name, search_name, search_display_name, kind, first_seen, last_seen)
    VALUES ('operator', 'Operator', 'operator', 'operator', 'person', now(), now());

-- Sizes follow a power law, with the same average at every size of the site: groups 300, projects 100
CREATE TEMP TABLE sizes AS
    SELECT g.i, 'group-' || g.i AS name,
        least(:persons * 0.7, 5000, 120 * (g.i::float / :groups) ^ -0.6)::int AS size
    FROM generate_series(1, :groups) AS g (i);
INSERT INTO person_groups (group_name, person)
    SELECT DISTINCT s.name, p.name FROM sizes s, generate_series(1, s.size) AS n
    JOIN LATERAL (SELECT floor(random() * :persons)::int + n * 0 AS i) r ON true JOIN people p ON p.i = r.i;

CREATE TEMP TABLE plots AS
    SELECT k AS i, least(:persons * 0.5, 5000, greatest(2, 31.5 * (k::float / :projects) ^ -0.7))::int AS size,
        s.n AS subject, a.n AS activity, s.n || '-' || a.n || '-' || k AS slug,
        floor(random() * :persons)::int AS lead, random() AS luck, random() AS state_luck, random() AS age,
        random() AS data_luck
    FROM generate_series(1, :projects) AS k
    JOIN subjects s ON s.i = (k * 11) % 30 JOIN activities a ON a.i = (k * 7 + k / 30) % 15;
INSERT INTO slugs (slug, given) SELECT slug, now() - age * interval '700 days' FROM plots;
INSERT INTO projects (slug, title, description, readme, visibility, state, environment, resource_class, version,
        created_by, created_at, last_activity, deleted_at, deleted_by, size)
    SELECT slug, initcap(subject) || ' ' || activity || ' ' || plots.i, 'The ' || activity || ' of ' || subject || ' number '
        || plots.i, '# ' || initcap(subject) || E'\n\n' || (
            SELECT string_agg(w, ' ' ORDER BY n) FROM (
                SELECT n, floor((SELECT count(*) FROM words) * random() ^ 3 + plots.i * 0)::int AS pick
                FROM generate_series(1, 40 + (160 * luck)::int) AS n
            ) AS picks JOIN words ON words.i = pick),
        CASE WHEN luck < 0.5 THEN 'private' WHEN luck < 0.9 THEN 'internal' ELSE 'public' END,
        CASE WHEN state_luck < 0.08 THEN 'archived' ELSE 'active' END,
        CASE WHEN plots.i % 9 = 0 THEN 'gpu' ELSE 'default' END, CASE WHEN plots.i % 9 = 0 THEN 'large' ELSE 'small' END,
        1, people.name, now() - age * interval '700 days', now() - age * luck * interval '300 days',
        CASE WHEN state_luck > 0.99 THEN now() - interval '3 days' END,
        CASE WHEN state_luck > 0.99 THEN people.name END, (luck * 1e10)::bigint
    FROM plots JOIN people ON people.i = lead;
INSERT INTO project_words (word, project)
    SELECT DISTINCT w, slug FROM projects, regexp_split_to_table(lower(title || ' ' || description || ' ' || readme),
        '\W+') AS w WHERE w <> '';

-- Some persons are in many more projects than others. Leads first, then as many of the rest as are wanted
INSERT INTO members (project, person, role, via, since)
    SELECT slug, person, role, CASE WHEN role = 3 THEN 'made the project' ELSE 'invitation from ' || person END,
        now() - random() * interval '300 days'
    FROM (
        SELECT slug, people.name AS person, max(role) AS role FROM (
            SELECT slug, lead AS i, 3 AS role FROM plots UNION ALL
            SELECT slug, floor(:persons * random() ^ 1.3)::int, 1 + (random() < 0.3)::int + (random() < 0.01)::int
            FROM plots, generate_series(1, (size * 1.7)::int)
        ) AS drawn JOIN people USING (i) GROUP BY slug, people.name ORDER BY max(role) = 3 DESC, random() LIMIT :members
    ) AS chosen;
INSERT INTO pins (person, project) SELECT person, project FROM members WHERE random() < 0.6;
INSERT INTO group_grants (project, group_name, role, granted_by, since)
    SELECT DISTINCT ON (slug, name) slug, name, 1 + (random() < 0.3)::int, 'operator', now()
    FROM (SELECT slug, floor(random() * :groups)::int + 1 + n * 0 AS i FROM plots, generate_series(1, 3) AS n
        WHERE random() < 0.2) AS drawn JOIN sizes USING (i);
INSERT INTO data_attachments (project, name, mode, attached_by, since)
    SELECT DISTINCT ON (slug, v) slug, 'volume-' || v, CASE WHEN v = 1 THEN 'read-write' ELSE 'read-only' END,
        'operator', now()
    FROM (SELECT slug, 1 + floor(20 * random())::int + n * 0 AS v FROM plots, generate_series(1, (data_luck * 4)::int) AS n)
        AS drawn;

INSERT INTO invitations (project, role, person, code_hash, code_hint, invited_by, created_at, expires_at, uses,
        uses_left, state)
    SELECT slug, 1, CASE WHEN n % 3 > 0 THEN people.name END, CASE WHEN n % 3 = 0 THEN md5(slug || n) || md5(slug) END,
        CASE WHEN n % 3 = 0 THEN 'abcd' END, 'operator', now() - interval '20 days',
        now() + (n - 3) * interval '6 days', 5, 5, CASE WHEN n > 4 THEN 'open' ELSE 'accepted' END
    FROM plots, generate_series(1, 6) AS n, LATERAL (SELECT floor(random() * :persons)::int + n * 0 AS i) AS drawn
    JOIN people USING (i) ON CONFLICT DO NOTHING;
INSERT INTO join_requests (project, person, message, state, created_at)
    SELECT slug, people.name, 'May I join?', CASE WHEN n = 4 THEN 'open' ELSE 'approved' END, now() - n * interval '1 day'
    FROM plots, generate_series(1, 4) AS n, LATERAL (SELECT floor(random() * :persons)::int + n * 0 AS i) AS drawn
    JOIN people USING (i) ON CONFLICT DO NOTHING;

-- A year of events and of servers that ended
INSERT INTO audit_events (at, actor, action, target, project, detail)
    SELECT since, via, 'member.add', person, project, '{"role": "viewer"}' FROM members ORDER BY since;
INSERT INTO audit_events (at, actor, action, target, project, detail)
    SELECT now() - interval '1 day', people.name, 'project.change', slug, slug, '{"fields": ["readme"]}'
    FROM plots JOIN people ON people.i = lead, generate_series(1, 20);
INSERT INTO granted_plans (person, server_name, project, environment, resource_class, plan, granted_at, ended_at)
    SELECT person, project, project, 'default', 'small', '{}', now() - interval '40 days', now() - interval '39 days'
    FROM members WHERE random() < 0.3;
INSERT INTO audit_events (at, actor, action, target, detail)
    SELECT granted_at, person, 'server.start', person || '/' || server_name, '{}' FROM granted_plans;
COMMIT;
