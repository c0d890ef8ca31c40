-- mart: deal_incentives
-- attainment by a window sum in canonical order, the tier by an inequality join; no knowledge times, SPIFFs, caps
WITH credited AS (
    SELECT c.opportunity_id, c.rep_id, c.component, c.credit_type, c.credited_amount, d.closed_at, q.period_start,
        q.amount AS quota_amount,
        sum(c.credited_amount) OVER (
            PARTITION BY c.rep_id, c.component, q.period_start ORDER BY d.closed_at, c.opportunity_id
        ) - c.credited_amount AS credited_before
    FROM credits c
    JOIN deals d USING (opportunity_id)
    JOIN quotas q ON q.rep_id = c.rep_id AND q.component = c.component
        AND d.closed_on >= q.period_start AND d.closed_on < q.period_end
    QUALIFY row_number() OVER (PARTITION BY c.credit_id ORDER BY c.recorded_at DESC) = 1
), planned AS (
    SELECT c.*, p.plan_id, p.version, (credited_before / quota_amount)::DOUBLE AS attainment_before_final
    FROM credited c
    ASOF LEFT JOIN plan_assignments p ON p.rep_id = c.rep_id AND c.closed_at::DATE >= p.valid_from
)
SELECT p.opportunity_id, p.rep_id, p.component, p.credit_type, p.plan_id, p.version, p.period_start, p.quota_amount,
    p.credited_amount, p.attainment_before_final, t.tier, t.rate::DOUBLE AS emcr_as_final
FROM planned p
ASOF LEFT JOIN plan_tiers t ON t.plan_id = p.plan_id AND t.version = p.version AND t.component = p.component
    AND p.attainment_before_final >= t.from_attainment
ORDER BY opportunity_id, rep_id, component, credit_type;

-- mart: deal_outcomes
-- exposure, contract churn by the ended service, counts at four horizons; no returns within 30 days, merges, bands of pressure
WITH exposure AS (
    SELECT opportunity_id, sum(added_pay) / sum(credited_amount)::DOUBLE AS emcr, any_value(rep_id) AS rep_id
    FROM deal_incentives WHERE credit_type = 'primary' GROUP BY ALL
), cuts AS (SELECT quantile_disc(emcr, [0.2, 0.4, 0.6, 0.8]) AS cut FROM exposure),
service AS (
    SELECT s.opportunity_id, min(timezone(a.timezone, s.started_at)::DATE) AS started_on,
        CASE WHEN count(s.ended_at) = count(*) THEN max(timezone(a.timezone, s.ended_at)::DATE) END AS ended_on,
        max_by(s.end_reason, s.ended_at) AS end_reason, sum(s.mrr) AS mrr
    FROM subscriptions s JOIN accounts a USING (account_id) GROUP BY ALL
), counted AS (
    SELECT e.opportunity_id,
        count(*) FILTER (kind = 'complaint' AND date - closed_on <= 30) AS complaints_30d,
        count(*) FILTER (kind = 'complaint' AND date - closed_on <= 90) AS complaints_90d,
        count(*) FILTER (kind = 'complaint' AND date - closed_on <= 180) AS complaints_180d,
        count(*) FILTER (kind = 'complaint' AND date - closed_on <= 365) AS complaints_365d,
        count(*) FILTER (kind = 'refund' AND date - closed_on <= 180) > 0 AS refunded_180d,
        count(*) FILTER (kind = 'clawback' AND date - closed_on <= 180) > 0 AS clawed_back_180d,
        min(date - closed_on) FILTER (kind = 'feedback') AS days_to_first_feedback
    FROM customer_events e JOIN deals d USING (opportunity_id)
    WHERE NOT e.contradicted AND date >= closed_on GROUP BY ALL
), judged AS (
    SELECT d.*, until, x.emcr, s.* EXCLUDE (opportunity_id), k.* EXCLUDE (opportunity_id),
        greatest(d.closed_on, coalesce(s.started_on, d.starts_on)) AS clock_start_on,
        1 + len(list_filter(cut, lambda c : c < x.emcr)) AS emcr_quintile
    FROM deals d
    LEFT JOIN exposure x USING (opportunity_id) LEFT JOIN service s USING (opportunity_id)
    LEFT JOIN counted k USING (opportunity_id) CROSS JOIN cuts CROSS JOIN observed
)
SELECT opportunity_id, account_id, rep_id, segment, closed_on, amount, emcr, emcr_quintile, clock_start_on, mrr,
    clock_start_on + 180 <= until AS mature_180d,
    CASE WHEN mature_180d THEN ended_on - clock_start_on <= 180 AND end_reason IN ('cancelled', 'not_renewed') END AS churned_180d,
    CASE WHEN clock_start_on + 30 <= until THEN coalesce(complaints_30d, 0) END AS complaints_30d,
    CASE WHEN clock_start_on + 90 <= until THEN coalesce(complaints_90d, 0) END AS complaints_90d,
    CASE WHEN mature_180d THEN coalesce(complaints_180d, 0) END AS complaints_180d,
    CASE WHEN clock_start_on + 365 <= until THEN coalesce(complaints_365d, 0) END AS complaints_365d,
    CASE WHEN mature_180d THEN coalesce(refunded_180d, false) END AS refunded_180d,
    CASE WHEN mature_180d THEN coalesce(clawed_back_180d, false) END AS clawed_back_180d, days_to_first_feedback
FROM judged ORDER BY opportunity_id;

-- mart: churn_by_incentive
-- Kaplan-Meier by one dimension of the twenty that ours estimates, without intervals or competing exits
WITH followed AS (
    SELECT emcr_quintile::VARCHAR AS value, churned_on IS NOT NULL AS lost,
        greatest(coalesce(churned_on, other_exit_on, observed_until) - clock_start_on, 0) AS duration
    FROM deal_outcomes WHERE outcome_null_reason IS NULL AND clock_start_on <= observed_until AND emcr IS NOT NULL
), counted AS (
    SELECT value, duration, count(*) AS leaving, count(*) FILTER (lost) AS events FROM followed GROUP BY ALL
), risk AS (
    SELECT *, sum(leaving) OVER (PARTITION BY value ORDER BY duration DESC) AS at_risk FROM counted
)
SELECT 'emcr_quintile' AS dimension, value, 180 AS horizon_days, (sum(leaving))::BIGINT AS n,
    (sum(events) FILTER (duration <= 180))::BIGINT AS events,
    product(1 - events / at_risk) FILTER (duration <= 180) AS survival
FROM risk GROUP BY ALL ORDER BY ALL;

-- mart: account_months
-- every active deal of every month; days are not divided by the day, time without a deal has no row
WITH active AS (
    SELECT *, closed_on AS active_from,
        greatest(closed_on, coalesce(churned_on, other_exit_on, observed_until)) AS active_to
    FROM deal_outcomes
    WHERE account_id IS NOT NULL AND closed_on <= observed_until AND outcome_null_reason IS DISTINCT FROM 'never_started'
), touched AS (
    SELECT coalesce(a.merged_into_id, a.account_id) AS account_id,
        date_trunc('month', timezone('America/New_York', t.occurred_at))::DATE AS first, count(*) AS touches
    FROM activities t JOIN accounts a USING (account_id) WHERE t.direction = 'outbound' GROUP BY ALL
), happened AS (
    SELECT e.opportunity_id, date_trunc('month', date)::DATE AS first, count(*) FILTER (kind = 'complaint') AS complaints,
        count(*) FILTER (kind = 'refund') AS refunds, count(*) FILTER (kind = 'feedback') AS feedback
    FROM customer_events e JOIN active d USING (opportunity_id)
    WHERE NOT e.contradicted AND date BETWEEN active_from AND active_to GROUP BY ALL
), paid AS (
    SELECT rep_id AS owner_rep_id, date_trunc('month', closed_on)::DATE AS first, avg(emcr) AS owner_emcr
    FROM deal_outcomes WHERE emcr IS NOT NULL GROUP BY ALL
), held AS (
    SELECT account_id, valid_from, rep_id AS owner_rep_id FROM account_assignments
    WHERE role NOT IN ('engineer', 'manager', 'executive')
), spread AS (
    SELECT *, unnest(generate_series(date_trunc('month', active_from), active_to, INTERVAL 1 MONTH))::DATE AS first FROM active
), panel AS (
    SELECT account_id, opportunity_id, first, rep_id, segment, emcr AS emcr_at_sale, greatest(active_from, first) AS begun,
        least(active_to, last_day(first)) - greatest(active_from, first) + 1 AS exposure_days,
        churned_on BETWEEN first AND last_day(first) AS churned
    FROM spread
), owned AS (
    SELECT p.*, coalesce(h.owner_rep_id, p.rep_id) AS owner_rep_id
    FROM panel p ASOF LEFT JOIN held h ON h.account_id = p.account_id AND p.begun >= h.valid_from
)
SELECT p.account_id, p.opportunity_id, strftime(p.first, '%Y-%m') AS month, p.rep_id,
    p.owner_rep_id, p.exposure_days, coalesce(p.churned, false) AS churned,
    p.exposure_days / count(*) OVER (PARTITION BY p.account_id, p.first) AS account_days,
    coalesce(e.complaints, 0) AS complaints, coalesce(e.refunds, 0) AS refunds, coalesce(e.feedback, 0) AS feedback,
    coalesce(t.touches, 0) AS touches, p.emcr_at_sale, i.owner_emcr, p.segment
FROM owned p
LEFT JOIN paid i ON i.owner_rep_id = p.owner_rep_id AND i.first = p.first
LEFT JOIN touched t ON t.account_id = p.account_id AND t.first = p.first
LEFT JOIN happened e ON e.opportunity_id = p.opportunity_id AND e.first = p.first
ORDER BY ALL;

-- mart: complaints_by_incentive
-- counts by one dimension of the twenty that ours estimates, all periods; days per deal, no intervals
SELECT 'emcr_quintile' AS dimension, emcr_quintile::VARCHAR AS value, category, 'all' AS period, count(*) AS complaints
FROM customer_events e JOIN deal_outcomes d USING (opportunity_id)
WHERE e.kind = 'complaint' AND NOT e.contradicted AND d.account_id IS NOT NULL AND d.closed_on <= d.observed_until
    AND d.outcome_null_reason IS DISTINCT FROM 'never_started' AND emcr_quintile IS NOT NULL
    AND e.date BETWEEN closed_on AND least(
        greatest(closed_on, coalesce(churned_on, other_exit_on, observed_until)), closed_on + 364)
GROUP BY ALL ORDER BY ALL;

-- mart: feedback_lag_by_incentive
-- Kaplan-Meier medians by one dimension of the twenty that ours estimates, without intervals or reverse time
WITH waited AS (
    SELECT emcr_quintile::VARCHAR AS value, hop, days, h.censored,
        NOT h.censored AND NOT (hop = 'shipped' AND coalesce(outcome IN ('declined', 'duplicate'), false)) AS is_left
    FROM feedback_hops h JOIN deal_outcomes USING (opportunity_id) WHERE emcr_quintile IS NOT NULL
), counted AS (
    SELECT value, hop, days, count(*) AS leaving, count(*) FILTER (is_left) AS events, count(*) FILTER (censored) AS waiting
    FROM waited GROUP BY ALL
), risk AS (
    SELECT *, sum(leaving) OVER (PARTITION BY value, hop ORDER BY days DESC) AS at_risk FROM counted
), steps AS (
    SELECT *, exp(sum(ln(greatest(1 - events / at_risk, 1e-12))) OVER (PARTITION BY value, hop ORDER BY days)) AS survival FROM risk
)
SELECT 'emcr_quintile' AS dimension, value, hop, sum(leaving)::BIGINT AS n, sum(events)::BIGINT AS reached,
    sum(waiting)::BIGINT AS censored, min(days) FILTER (survival <= 0.5) AS median_days
FROM steps GROUP BY ALL ORDER BY ALL;
