"""Routes by subject: uploads, tickets, images, variants, files, documentation."""
