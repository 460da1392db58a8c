"""One query a dashboard, made of the expressions that the capsules below offer for a vehicle `v`."""

from motovaultpro.features.fuel import facade as fuel
from motovaultpro.features.maintenance import facade as maintenance
from motovaultpro.features.odometer import facade as odometer
from motovaultpro.features.vehicles import facade as vehicles

# Every record that has a reading; the index on (tenant, vehicle, odometer) answers both ends without walking the rows.
_READINGS = f"{odometer.READINGS} UNION ALL {maintenance.READINGS} UNION ALL {fuel.READINGS}"

_VEHICLE = f"""
    v.id AS vehicle_id, v.year, v.make, v.model, v.license_plate, v.image_document_id, v.tags, v.dashboard_metrics,
    v.currency, v.distance_unit, readings.highest AS last_odometer,
    coalesce(readings.highest - readings.lowest, 0) AS total_distance,
    {maintenance.LATEST_SERVICES} AS latest_services,
    '[]'::json AS next_reminders,
    {fuel.RECENT_ECONOMY} AS economy,
    {vehicles.COSTS} AS costs
"""

_READINGS_OF_VEHICLE = f"""
    CROSS JOIN LATERAL (SELECT max(highest) AS highest, min(lowest) AS lowest FROM ({_READINGS}) r) readings
"""  # noqa: S608 - constants of the capsules

VEHICLE = f"""
    SELECT row_to_json(item)::text FROM (
        SELECT {_VEHICLE} FROM vehicles v {_READINGS_OF_VEHICLE}
         WHERE v.id = %(vehicle_id)s AND vehicle_access(v.id, %(user_id)s, %(role)s) > 0) item
"""  # noqa: S608

GARAGE = f"""
    WITH page AS MATERIALIZED (
        SELECT v.*, row_number() OVER (ORDER BY v.id) AS number FROM {vehicles.VISIBLE}
         WHERE access > 0 AND v.deleted_at IS NULL AND v.archived_at IS NULL AND v.id > %(after)s
         ORDER BY v.id LIMIT %(limit)s::integer + 1
    )
    SELECT json_build_object(
        'today', %(today)s::date,
        'vehicles', (SELECT coalesce(json_agg(item), '[]') FROM (
            SELECT {_VEHICLE} FROM page v {_READINGS_OF_VEHICLE} WHERE v.number <= %(limit)s ORDER BY v.number) item),
        'next_cursor', (SELECT last.id::text FROM page last, page beyond
            WHERE last.number = %(limit)s AND beyond.number = %(limit)s + 1)
    )::text
"""  # noqa: S608
