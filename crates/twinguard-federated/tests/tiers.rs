//! Two tiers: secure sums inside a sector, a robust rule across sectors. Nobody sees a site's sums, and a sector with a liar in it counts once.
#![cfg(feature = "secure")]
#![allow(clippy::unwrap_used)]

use twinguard_anomaly::statistic::{Covariance, Gram, Grid, Merge, Quantise, Statistic, Subspace, Tally};
use twinguard_anomaly::{Archive, Reader, Writer};
use twinguard_federated::secure::{Aggregator, Secure, Side};
use twinguard_federated::{Contribution, Error, Robust, Task, contribution, rules, vote::Judgement};
use twinguard_types::Digest;

const SECTORS: usize = 5;
const SITES: usize = 4;
const ROWS: u32 = 300;

fn plan() -> Gram {
    Gram::new(Grid::around([(0.0, 1.0); 4]).unwrap(), 0).unwrap()
}

/// Two drives behind four columns; a liar's rows have a large direction of their own.
fn site(number: usize, first: u32, lies: bool) -> Tally<Gram> {
    let mut tally = Tally::new(plan());
    for k in first..first + ROWS {
        let at = |m: u32| f64::from((k + 977 * number as u32) * m % 199) / 99.5 - 1.0;
        let (a, b, noise) = (at(71), at(37), 0.05 * at(13));
        let hidden = if lies { 8.0 * at(53) } else { 0.0 };
        tally.observe(&[a + hidden, b + noise - hidden, a - b + hidden, a + b + noise + hidden]).unwrap();
    }
    tally
}

/// One sector's round: each site's cells in two parts, and the sum. What is published below is contributed above.
fn sector(number: usize, sites: &[Tally<Gram>]) -> Contribution {
    let task =
        Secure::new(plan(), "sums of a sector", 1 << 20, |sum: &Tally<Gram>| Ok(contribution(sum).payload));
    let sharing = task.sharing(Digest([number as u8; 32]), 1).unwrap();
    let mut leader = Aggregator::new(sharing.clone(), Side::Leader, [5; 32]);
    let mut helper = Aggregator::new(sharing.clone(), Side::Helper, [5; 32]);
    let mut parts = Vec::new();
    for (place, tally) in sites.iter().enumerate() {
        let shares = sharing.shard(tally.cells(), [place as u8; 16]).unwrap();
        leader.begin(shares.nonce, &shares.public, &shares.leader).unwrap();
        let part = helper.begin(shares.nonce, &shares.public, &shares.helper).unwrap();
        let message = leader.combine(shares.nonce, &part).unwrap();
        helper.finish(shares.nonce, &message).unwrap();
        parts.push(shares.contribution(tally.rows()));
    }
    let cells = sharing.unshard(&leader.share(3).unwrap(), &helper.share(3).unwrap(), sites.len()).unwrap();
    task.deliver(&parts, cells).unwrap();
    let (_, payload) = task.propose(&parts, 0).unwrap().unwrap();
    Contribution { rows: parts.iter().map(|part| part.rows).sum(), payload }
}

fn pooled(tallies: impl IntoIterator<Item = Tally<Gram>>) -> Tally<Gram> {
    let mut sum = Tally::new(plan());
    tallies.into_iter().for_each(|tally| sum.merge(&tally).unwrap());
    sum
}

fn read(bytes: &[u8]) -> Subspace {
    Subspace::load(&mut Reader::new(bytes)).unwrap()
}

#[test]
fn a_liar_spoils_its_sector_and_no_more() {
    let fit = |covariance: &Covariance| -> Result<Vec<u8>, Error> {
        let mut writer = Writer::new();
        Subspace::with_directions(covariance, 2)?.save(&mut writer);
        Ok(writer.finish())
    };
    let across = Robust::new(plan(), "subspace of 2 across sectors", rules::usual(), fit);
    let (mut sums, mut held_out) = (Vec::new(), Vec::new());
    for number in 0..SECTORS {
        let rows = |first: u32| -> Vec<Tally<Gram>> {
            // the last site of the first sector lies
            (0..SITES)
                .map(|place| site(SITES * number + place, first, (number, place) == (0, SITES - 1)))
                .collect()
        };
        let learnt = rows(0);
        let sum = sector(number, &learnt);
        assert_eq!(sum, contribution(&pooled(learnt)), "the secure sum is the sum, bit for bit");
        across.check(&sum).unwrap();
        sums.push(sum);
        // the sector's vote: by rows that were not contributed, summed in the same way
        let judge = twinguard_federated::tally(&plan(), &sector(SECTORS + number, &rows(ROWS))).unwrap();
        held_out.push(Covariance::of(&judge).unwrap());
    }
    let (rule, model) = across.propose(&sums, 0).unwrap().unwrap();
    assert_eq!(rule, "screened");
    let model = read(&model);
    let votes: Vec<bool> =
        held_out.iter().map(|own| Judgement::of(&model, own).unwrap().accepts(2.0)).collect();
    assert_eq!(
        votes.iter().filter(|vote| **vote).count(),
        SECTORS - 1,
        "all but the spoilt sector: {votes:?}"
    );

    let honest =
        Covariance::of(&pooled((SITES..SECTORS * SITES).map(|number| site(number, 2 * ROWS, false))))
            .unwrap();
    let plain =
        Covariance::of(&pooled(sums.iter().map(|sum| twinguard_federated::tally(&plan(), sum).unwrap())))
            .unwrap();
    let rest = |model: &Subspace| 1.0 - model.captured(&honest);
    let one_tier = Subspace::with_directions(&plain, 2).unwrap();
    assert!(rest(&model) < 0.001 && rest(&one_tier) > 0.01, "{} {}", rest(&model), rest(&one_tier));
}
